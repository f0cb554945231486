//go:build linux && !(amd64 || arm64 || riscv64 || loong64)

package aside

import "syscall"

// Call makes a system call of at most four arguments, as any other is made.
func Call(call, a, b, c, d uintptr) (n int, e syscall.Errno) {
	r, _, e := syscall.Syscall6(call, a, b, c, d, 0, 0)
	return int(r), e
}
