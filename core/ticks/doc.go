// Package ticks tells how much time has passed by the processor's own counter: what asking for the time of a
// short piece of work costs is a third of what time.Since costs, and it does not wait for the loads that are on their way.
//
// It owns that counter and how long a tick is. It refuses to tell the time of day, and to guess: where the counter
// is not what the kernel itself tells the time by, or the length of a tick is not known yet, it says so, and a clock is to be asked.
//
//	RDTSC        on amd64, where Linux has "tsc" as its clock source: the counter runs at one speed, in
//	             step on all processors, and does not stop; the kernel watches that
//	CNTVCT_EL0   on arm64, where Linux has "arch_sys_counter"
//
// On other machines there is none.
//
// The kernel's clock reads the same counter. But it orders itself behind all that the processor has begun (LFENCE on amd64), so that a clock that
// is read once for each command of a batch waits for the very cache misses that were to overlap with the next command.
package ticks
