package session

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"strconv"

	"github.com/spillwaydb/spillway/core/acl"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/pubsub"
	"github.com/spillwaydb/spillway/core/resp"
)

// User is what the client may do. Any goroutine.
func (s *Session) User() *acl.User { return s.user.Load() }

// Authenticated implements command.Client. A client that came when the default
// user needed no password stays in when that changes, as in Redis.
func (s *Session) Authenticated() bool { return s.authed || !s.rt.Users.Default().NeedsPassword() }

// Authenticate implements command.Client.
func (s *Session) Authenticate(by, user, pass string) error {
	u, err := s.rt.Users.Authenticate(user, pass)
	if err != nil {
		s.noteDenied(acl.DeniedAuth, by, user)
		return err
	}
	s.user.Store(u)
	s.authed = true
	return nil
}

// BecomeUser makes the client a user without a password, since something else has
// shown who it is, as the certificate of a connection. It tells whether there is
// such a user and it is on; the client stays what it was if not. The session's
// goroutine.
func (s *Session) BecomeUser(name string) bool {
	u := s.rt.Users.User(name)
	if u == nil || !u.Enabled() {
		s.noteDenied(acl.DeniedAuth, "tls-cert", name)
		return false
	}
	s.user.Store(u)
	s.authed = true
	return true
}

// MayReadEveryKey implements command.Client.
func (s *Session) MayReadEveryKey(cmd *command.Command, args [][]byte) bool {
	return s.user.Load().CheckEveryKey(cmd, args, command.KeyAccess)
}

// permit tells whether the user may run a command. When not, it has replied.
func (s *Session) permit(cmd *command.Command, args [][]byte, out *resp.Writer) bool {
	u := s.user.Load()
	d := u.Check(cmd, args)
	if d.Reason == acl.Allowed {
		return true
	}
	s.noteRefused(d, cmd, args)
	s.rejectCommand(cmd, out, d.Reply(cmd))
	return false
}

// noteRefused keeps for ACL LOG that the user may not run a command.
func (s *Session) noteRefused(d acl.Denial, cmd *command.Command, args [][]byte) {
	object := cmd.Name
	if d.Arg > 0 {
		object = string(args[d.Arg])
	}
	s.noteDenied(d.Reason, object, s.user.Load().Name())
}

func (s *Session) noteDenied(why acl.Reason, object, user string) {
	context := "toplevel"
	switch {
	case s.unit.lease != nil && s.host != nil && s.host.calling:
		context = "lua"
	case s.tx.open:
		context = "multi"
	}
	s.rt.Users.Log.Note(acl.Entry{
		Reason: why, Context: context, Object: object, Username: user, At: s.rt.Clock.Now(), Client: s.client.Info().Line(),
	})
}

const errNoACLFile = "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration."

func (s *Session) aclWhoAmI(_ [][]byte, out *resp.Writer) command.Outcome {
	out.BulkString(s.user.Load().Name())
	return command.Done
}

func (s *Session) aclUsers(_ [][]byte, out *resp.Writer) command.Outcome {
	users := s.rt.Users.Users()
	out.Array(len(users))
	for _, u := range users {
		out.BulkString(u.Name())
	}
	return command.Done
}

func (s *Session) aclList(_ [][]byte, out *resp.Writer) command.Outcome {
	users := s.rt.Users.Users()
	out.Array(len(users))
	for _, u := range users {
		out.BulkString(u.Line())
	}
	return command.Done
}

func (s *Session) aclGetUser(args [][]byte, out *resp.Writer) command.Outcome {
	u := s.rt.Users.User(string(args[2]))
	if u == nil {
		out.Null()
		return command.Done
	}
	d := u.Details()
	out.Map(6)
	out.BulkString("flags")
	out.Set(len(d.Flags))
	for _, f := range d.Flags {
		out.BulkString(f)
	}
	out.BulkString("passwords")
	out.Array(len(d.Passwords))
	for _, p := range d.Passwords {
		out.BulkString(p)
	}
	writeSelector(out, d.Selectors[0])
	out.BulkString("selectors")
	out.Array(len(d.Selectors) - 1)
	for _, sel := range d.Selectors[1:] {
		out.Map(3)
		writeSelector(out, sel)
	}
	return command.Done
}

// writeSelector writes three fields of a map.
func writeSelector(out *resp.Writer, d acl.SelectorDetails) {
	for _, text := range []string{"commands", d.Commands, "keys", d.Keys, "channels", d.Channels} {
		out.BulkString(text)
	}
}

func (s *Session) aclSetUser(args [][]byte, out *resp.Writer) command.Outcome {
	rules := make([]string, len(args)-3)
	for i := range rules {
		rules[i] = string(args[i+3])
	}
	name := string(args[2])
	lost, err := s.rt.Users.SetUser(name, rules)
	if err != nil {
		out.Error("ERR " + err.Error())
		return command.Failed
	}
	if lost != nil {
		s.rt.revoke(name, lost, s.kill)
	}
	out.OK()
	return command.Done
}

// kill closes the clients that match accepts.
func (s *Session) kill(match func(command.ClientInfo) bool) { s.client.KillClients(match, false) }

// revoke closes the connections of a user that are subscribed to what the user may
// not name any more.
func (rt *Runtime) revoke(user string, lost func(channel string, pattern bool) bool, kill killer) {
	ids := make(map[int64]bool)
	rt.Hub.Each(func(k pubsub.Kind, name string, to pubsub.Receiver) {
		if o, ok := to.(*Session); ok && o.User().Name() == user && lost(name, k == pubsub.Pattern) {
			ids[o.id] = true
		}
	})
	if len(ids) > 0 {
		kill(func(i command.ClientInfo) bool { return ids[i.ID] })
	}
}

func (s *Session) aclDelUser(args [][]byte, out *resp.Writer) command.Outcome {
	names := make([]string, len(args)-2)
	for i := range names {
		names[i] = string(args[i+2])
	}
	gone, err := s.rt.Users.Delete(names...)
	if err != nil {
		out.Error("ERR " + err.Error())
		return command.Failed
	}
	disconnect(gone, s.kill)
	out.Int(int64(len(gone)))
	return command.Done
}

// disconnect closes the connections of users who are gone.
func disconnect(gone []*acl.User, kill killer) {
	if len(gone) == 0 {
		return
	}
	names := make(map[string]bool, len(gone))
	for _, u := range gone {
		names[u.Name()] = true
	}
	kill(func(i command.ClientInfo) bool { return names[i.User] })
}

func (s *Session) aclCat(args [][]byte, out *resp.Writer) command.Outcome {
	var names []string
	switch len(args) {
	case 2:
		names = command.CategoryNames()
	case 3:
		var ok bool
		if names, ok = acl.CommandsOf(string(args[2])); !ok {
			out.Errorf("ERR Unknown category '%.128s'", args[2])
			return command.Failed
		}
	default:
		return s.aclSyntax(args, out)
	}
	out.Array(len(names))
	for _, n := range names {
		out.BulkString(n)
	}
	return command.Done
}

// aclSyntax is the reply to a number of arguments that a subcommand does not take.
func (s *Session) aclSyntax(args [][]byte, out *resp.Writer) command.Outcome {
	out.Errorf("ERR unknown subcommand or wrong number of arguments for '%.128s'. Try ACL HELP.", args[1])
	return command.Failed
}

const maxPassBits = 4096

func (s *Session) aclGenPass(args [][]byte, out *resp.Writer) command.Outcome {
	bits := 256
	switch len(args) {
	case 2:
	case 3:
		n, err := strconv.Atoi(string(args[2]))
		if err != nil {
			out.Error("ERR value is not an integer or out of range")
			return command.Failed
		}
		if n <= 0 || n > maxPassBits {
			out.Errorf("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to %d", maxPassBits)
			return command.Failed
		}
		bits = n
	default:
		return s.aclSyntax(args, out)
	}
	buf := make([]byte, (bits+7)/8)
	_, _ = rand.Read(buf) // never fails
	out.BulkString(hex.EncodeToString(buf)[:(bits+3)/4])
	return command.Done
}

func (s *Session) aclLog(args [][]byte, out *resp.Writer) command.Outcome {
	n := 10
	switch {
	case len(args) > 3:
		return s.aclSyntax(args, out)
	case len(args) == 3 && bytes.EqualFold(args[2], []byte("reset")):
		s.rt.Users.Log.Reset()
		out.OK()
		return command.Done
	case len(args) == 3:
		var err error
		if n, err = strconv.Atoi(string(args[2])); err != nil {
			out.Error("ERR value is not an integer or out of range")
			return command.Failed
		}
	}
	now := s.rt.Clock.Now()
	entries := s.rt.Users.Log.Newest(n)
	out.Array(len(entries))
	for _, e := range entries {
		out.Map(7)
		out.BulkString("count")
		out.Int(e.Count)
		for _, text := range []string{"reason", e.Reason.String(), "context", e.Context, "object", e.Object, "username", e.Username, "age-seconds"} {
			out.BulkString(text)
		}
		out.Double(float64(now.Sub(e.At).Milliseconds()) / 1000)
		out.BulkString("client-info")
		out.BulkString(e.Client)
	}
	return command.Done
}

func (s *Session) aclDryRun(args [][]byte, out *resp.Writer) command.Outcome {
	u := s.rt.Users.User(string(args[2]))
	if u == nil {
		out.Errorf("ERR User '%s' not found", args[2])
		return command.Failed
	}
	args = args[3:]
	cmd := command.Lookup(args[0])
	if cmd != nil && cmd.Sub != nil && len(args) > 1 {
		if sub := cmd.Resolve(args); sub != cmd {
			cmd = sub
		} else {
			cmd = nil
		}
	}
	if cmd == nil {
		out.Errorf("ERR Command '%s' not found", args[0])
		return command.Failed
	}
	if n := len(args); cmd.Arity > 0 && n != cmd.Arity || n < -cmd.Arity {
		out.Errorf("ERR wrong number of arguments for '%s' command", cmd.Name)
		return command.Failed
	}
	switch d := u.Check(cmd, args); d.Reason {
	case acl.Allowed:
		out.OK()
	case acl.DeniedCommand:
		out.BulkString("This user has no permissions to run the '" + cmd.Name + "' command")
	case acl.DeniedChannel:
		out.BulkString("This user has no permissions to access the '" + string(args[d.Arg]) + "' channel")
	default:
		out.BulkString("This user has no permissions to access the '" + string(args[d.Arg]) + "' key")
	}
	return command.Done
}

func (s *Session) aclLoad(_ [][]byte, out *resp.Writer) command.Outcome {
	if s.rt.ACLFile == nil {
		out.Error(errNoACLFile)
		return command.Failed
	}
	if err := s.rt.LoadUsers(s.kill); err != nil {
		out.Error("ERR " + err.Error())
		return command.Failed
	}
	out.OK()
	return command.Done
}

func (s *Session) aclSave(_ [][]byte, out *resp.Writer) command.Outcome {
	if s.rt.ACLFile == nil {
		out.Error(errNoACLFile)
		return command.Failed
	}
	if err := s.rt.ACLFile.Write([]byte(s.rt.Users.Text())); err != nil {
		out.Error("ERR There was an error trying to save the ACLs: " + err.Error())
		return command.Failed
	}
	out.OK()
	return command.Done
}
