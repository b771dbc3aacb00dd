# An edge gateway (docs/edge.md). It needs CASTELLAN_CONTROL_URL and nothing else; it runs with a read-only root.
FROM node:24-slim AS build
WORKDIR /build
COPY . .
RUN npm ci && node scripts/package.js /out

FROM node:24-slim
COPY --from=build /out/castellan-*.tgz /tmp/castellan.tgz
RUN npm install --global --omit=optional /tmp/castellan.tgz && rm -rf /tmp/castellan.tgz /root/.npm
ENV CASTELLAN_ROLE=gateway CASTELLAN_HOST=0.0.0.0 CASTELLAN_PORT=7411
USER node
EXPOSE 7411
HEALTHCHECK --interval=10s --timeout=3s CMD ["node", "-e", "fetch('http://127.0.0.1:7411/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["castellan", "up"]
