//go:build !linux

package main

import "syscall"

// ownGroup has a process be of a group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// lowerPriority has this process run when nobody else wants to.
func lowerPriority() { _ = syscall.Setpriority(syscall.PRIO_PGRP, 0, 19) }
