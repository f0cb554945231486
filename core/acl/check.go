package acl

import "github.com/spillwaydb/spillway/core/command"

// Reason is why something was refused.
type Reason uint8

// The reasons, the weightier ones last: of several selectors, the one that came
// furthest says why.
const (
	Allowed Reason = iota
	DeniedCommand
	DeniedKey
	DeniedChannel
	DeniedAuth
)

// String is the reason as ACL LOG tells it.
func (r Reason) String() string {
	return [...]string{"", "command", "key", "channel", "auth"}[r]
}

// Denial is what a check has found: the zero Denial permits.
type Denial struct {
	Reason Reason
	Arg    int // DeniedKey, DeniedChannel: the argument
}

// Reply is the error reply to a command that is refused, and "" to one that is
// not.
func (d Denial) Reply(cmd *command.Command) string {
	switch d.Reason {
	case DeniedCommand:
		return "NOPERM this user has no permissions to run the '" + cmd.Name + "' command"
	case DeniedKey:
		return "NOPERM this user has no permissions to access one of the keys used as arguments"
	case DeniedChannel:
		return "NOPERM this user has no permissions to access one of the channels used as arguments"
	}
	return ""
}

// ExecReply is the error reply to a command of a transaction that was permitted
// when it was queued and no longer is.
func (d Denial) ExecReply() string {
	why := "no permission"
	switch d.Reason {
	case DeniedCommand:
		why = "no permission to execute the command or subcommand"
	case DeniedKey:
		why = "no permission to touch the specified keys"
	case DeniedChannel:
		why = "no permission to access one of the channels used as arguments"
	}
	return "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. " +
		"This command is no longer allowed for the following reason: " + why
}

// ScriptReply is the error of a command that a script calls and the user may not run.
func (d Denial) ScriptReply() string {
	why := "can't run this command or subcommand"
	switch d.Reason {
	case DeniedKey:
		why = "can't access at least one of the keys mentioned in the command arguments"
	case DeniedChannel:
		why = "can't publish to the channel mentioned in the command"
	}
	return "The user executing the script " + why
}

// Unrestricted tells whether the user may run everything, as nearly all may.
func (u *User) Unrestricted() bool {
	s := u.rules.Load().selectors[0]
	return s.commands.all && s.allKeys && s.allChannels
}

// Check tells whether the user may run a command, which is a subcommand and no
// container where args name one.
func (u *User) Check(cmd *command.Command, args [][]byte) Denial {
	if u.Unrestricted() {
		return Denial{}
	}
	return u.rules.Load().check(cmd, args, func(*selector) bool { return true })
}

// check tells whether a selector permits the command that also pleases more.
func (r *rules) check(cmd *command.Command, args [][]byte, more func(*selector) bool) Denial {
	var (
		worst = Denial{Reason: DeniedCommand}
		keys  []command.Key
		found bool
	)
	for _, s := range r.selectors {
		if !found && !s.allKeys && cmd.HasKeys {
			keys, _ = cmd.Keys(args) // of arguments without keys the handler complains
			found = true
		}
		d := s.check(cmd, args, keys)
		if d.Reason == Allowed && more(s) {
			return Denial{}
		}
		if d.Reason > worst.Reason || d.Reason == worst.Reason && d.Arg > worst.Arg {
			worst = d
		}
	}
	return worst
}

func (s *selector) check(cmd *command.Command, args [][]byte, keys []command.Key) Denial {
	if !s.permitsCommand(cmd, args) {
		return Denial{Reason: DeniedCommand}
	}
	if !s.allKeys {
		for _, k := range keys {
			if !s.permitsKey(args[k.At], accessOf(k.Flags)) {
				return Denial{DeniedKey, k.At}
			}
		}
	}
	if !s.allChannels {
		if first, last, pattern := channels(cmd, args); first > 0 {
			for i := first; i <= last; i++ {
				if !s.permitsChannel(args[i], pattern) {
					return Denial{DeniedChannel, i}
				}
			}
		}
	}
	return Denial{}
}

// channels are where a command names channels, or patterns of them, that need a
// permission; first is 0 for none. Who unsubscribes needs none.
func channels(cmd *command.Command, args [][]byte) (first, last int, pattern bool) {
	switch cmd.Name {
	case "publish", "spublish":
		return 1, 1, false
	case "subscribe", "ssubscribe":
		return 1, len(args) - 1, false
	case "psubscribe":
		return 1, len(args) - 1, true
	}
	return 0, 0, false
}

// CheckKey tells whether the user may do to a key what flags say.
func (u *User) CheckKey(key []byte, flags command.KeyFlags) bool {
	for _, s := range u.rules.Load().selectors {
		if s.permitsKey(key, accessOf(flags)) {
			return true
		}
	}
	return false
}

// CheckEveryKey tells whether the user may run a command that reaches for keys
// which its arguments do not name, as SORT with BY does: a selector that permits
// the command must permit to do to any key what flags say.
func (u *User) CheckEveryKey(cmd *command.Command, args [][]byte, flags command.KeyFlags) bool {
	d := u.rules.Load().check(cmd, args, func(s *selector) bool { return s.permitsEveryKey(accessOf(flags)) })
	return d.Reason == Allowed
}

// CheckChannel tells whether the user may name a channel, or subscribe to a
// pattern of them.
func (u *User) CheckChannel(channel []byte, pattern bool) bool {
	return u.rules.Load().permitsChannel(channel, pattern)
}

func (r *rules) permitsChannel(channel []byte, pattern bool) bool {
	for _, s := range r.selectors {
		if s.permitsChannel(channel, pattern) {
			return true
		}
	}
	return false
}
