package session

import (
	"fmt"

	"github.com/spillwaydb/spillway/core/acl"
	"github.com/spillwaydb/spillway/core/command"
)

// killer closes the clients that match accepts.
type killer = func(match func(command.ClientInfo) bool)

// SetUser makes a user anew of rules, as ACL SETUSER with a reset before them. Those of
// its clients are closed that are subscribed to what it may not name any more.
func (rt *Runtime) SetUser(name string, rules []string, kill killer) error {
	lost, err := rt.Users.SetUser(name, append([]string{"reset"}, rules...))
	if err != nil {
		return fmt.Errorf("user %q: %w", name, err)
	}
	if lost != nil {
		rt.revoke(name, lost, kill)
	}
	return nil
}

// DeleteUsers removes users, and closes their clients.
func (rt *Runtime) DeleteUsers(names []string, kill killer) error {
	gone, err := rt.Users.Delete(names...)
	if err == nil {
		disconnect(gone, kill)
	}
	return err
}

// LoadUsers is ACL LOAD.
func (rt *Runtime) LoadUsers(kill killer) error {
	gone, err := acl.LoadFile(rt.Users, rt.ACLFile)
	if err == nil {
		disconnect(gone, kill)
	}
	return err
}
