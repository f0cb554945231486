package ticks

const clockSource = "arch_sys_counter"
