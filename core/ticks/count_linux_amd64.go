package ticks

const clockSource = "tsc"
