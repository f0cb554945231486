//go:build !linux

package main

import "syscall"

// lowerPriority has this process run when nobody else wants to.
func lowerPriority() { _ = syscall.Setpriority(syscall.PRIO_PGRP, 0, 19) }
