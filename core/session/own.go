package session

import (
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

// ownCommand is a command that a session executes itself, because it is about its own
// state. It has no Handler, and locks what it needs itself.
type ownCommand func(s *Session, args [][]byte, out *resp.Writer) command.Outcome

// connectionCommands are those that are never executed by EXEC: inside MULTI they are
// executed at once, or refused, or, as UNWATCH, have nothing to do.
var connectionCommands = map[string]ownCommand{
	"multi":   (*Session).multiCommand,
	"exec":    (*Session).execCommand,
	"discard": (*Session).discardCommand,
	"watch":   (*Session).watchCommand,
	"unwatch": (*Session).unwatchCommand,
	"reset":   (*Session).resetCommand,
	"quit":    (*Session).quitCommand,
}

// aclCommands are those about users, which EXEC executes too.
var aclCommands = map[string]ownCommand{
	"acl|cat":     (*Session).aclCat,
	"acl|deluser": (*Session).aclDelUser,
	"acl|dryrun":  (*Session).aclDryRun,
	"acl|genpass": (*Session).aclGenPass,
	"acl|getuser": (*Session).aclGetUser,
	"acl|list":    (*Session).aclList,
	"acl|load":    (*Session).aclLoad,
	"acl|log":     (*Session).aclLog,
	"acl|save":    (*Session).aclSave,
	"acl|setuser": (*Session).aclSetUser,
	"acl|users":   (*Session).aclUsers,
	"acl|whoami":  (*Session).aclWhoAmI,
}

// runOwn executes a command of the session's own.
func (s *Session) runOwn(cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	if run := aclCommands[cmd.Name]; run != nil {
		return run(s, args, out)
	}
	return connectionCommands[cmd.Name](s, args, out)
}

func (s *Session) resetCommand(_ [][]byte, out *resp.Writer) command.Outcome {
	s.endMulti()
	s.endPush()
	s.resetClient()
	out.Proto = s.Proto()
	out.SimpleString("RESET")
	return command.Done
}

func (s *Session) quitCommand(_ [][]byte, out *resp.Writer) command.Outcome {
	s.client.CloseAfterReply()
	s.endPush() // who has read the reply finds it gone
	s.track.Close()
	out.OK()
	return command.Done
}
