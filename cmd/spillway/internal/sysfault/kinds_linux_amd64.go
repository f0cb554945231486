package sysfault

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// The calls that only amd64 has. C programs make them; Go does not.
func init() {
	kinds[unix.SYS_OPEN] = kind{name: "open", at: cwd(0), flags: 1}
	kinds[unix.SYS_CREAT] = kind{name: "creat", at: cwd(0)}
	kinds[unix.SYS_MKDIR] = kind{name: "mkdir", at: cwd(0)}
	kinds[unix.SYS_RMDIR] = kind{name: "rmdir", at: cwd(0)}
	kinds[unix.SYS_UNLINK] = kind{name: "unlink", at: cwd(0)}
	kinds[unix.SYS_RENAME] = kind{name: "rename", at: cwd(0), to: cwd(1)}
	kinds[unix.SYS_LINK] = kind{name: "link", at: cwd(0), to: cwd(1)}
	kinds[unix.SYS_SYMLINK] = kind{name: "symlink", at: cwd(1)}
	kinds[unix.SYS_CHMOD] = kind{name: "chmod", at: cwd(0)}
}
