// Package exec is the official stage that pipes parts through any program that
// reads stdin and writes stdout:
//
//	stage "plugin" "gpg" {
//	  uses   = plugin.exec
//	  encode = ["gpg", "--batch", "--encrypt", "--recipient", "backup@example.org"]
//	  decode = ["gpg", "--batch", "--decrypt"]
//	  suffix = ".gpg"
//	}
//
// The stored part is what the encode program wrote, so the decode program, or
// anything that understands its output, undoes it without this one.
//
// A part succeeds when the program has read its input to the end and exited
// with status 0. Any other end is an error with the last lines of its stderr;
// the program does not outlive the call.
//
// It refuses a shell: the words are passed as they are. Where a shell is
// wanted, the command is ["sh", "-c", "…"].
package exec
