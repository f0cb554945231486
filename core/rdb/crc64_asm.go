//go:build amd64 || arm64

package rdb

import "golang.org/x/sys/cpu"

var canFold = cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasPMULL

// fold reduces n bytes at p, a multiple of foldStep, to the 16 bytes of x, to which the checksum so far was given.
//
//go:noescape
func fold(x *[2]uint64, p *byte, n int, by *[4]uint64)
