//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package aside

import (
	"syscall"
	_ "unsafe" // for go:linkname
)

// Call makes a system call, of at most four arguments, that is expected to wait. Memory that
// it is given the address of must be kept alive by the caller. It may wake a thread: a call
// that is hardly ever long is better made as usual.
//
// In between the stack must not grow: what is called there is nosplit.
//
//go:nosplit
//go:norace
func Call(call, a, b, c, d uintptr) (n int, e syscall.Errno) {
	entersyscallblock()
	r, _, e := syscall.RawSyscall6(call, a, b, c, d, 0, 0)
	exitsyscall()
	return int(r), e
}

// The runtime's two functions are reached by name, which their source permits for good
// (https://go.dev/issue/67401).

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()
