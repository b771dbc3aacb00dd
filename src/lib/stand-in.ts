/** Ours, and those of Moat, whose configuration may have been imported. */
const STAND_INS = /castellan-?stub|ca57e11a57ab00|moat-stub-|moat-?proxy-?injected|^moat-[0-9a-f]{8,}$/i

/** Whether a value is one that agents are given: it must never be stored as a credential, nor reach an upstream as one. */
export const isStandIn = (value: string): boolean => STAND_INS.test(value)
