package session

import (
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

// own are the commands that a session executes itself, because they are about its
// own state. They have no Handler, and lock what they need themselves.
var own map[string]func(s *Session, args [][]byte, out *resp.Writer) command.Outcome

func init() { // of the map's own functions one looks into it
	own = ownCommands
}

var ownCommands = map[string]func(s *Session, args [][]byte, out *resp.Writer) command.Outcome{
	"multi":   (*Session).multiCommand,
	"exec":    (*Session).execCommand,
	"discard": (*Session).discardCommand,
	"watch":   (*Session).watchCommand,
	"unwatch": (*Session).unwatchCommand,
	"reset":   (*Session).resetCommand,
	"quit":    (*Session).quitCommand,

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
