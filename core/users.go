package core

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/acl"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/vfs"
)

// UserRules are a user and what one may do, in the words of ACL SETUSER.
type UserRules struct {
	Name  string
	Rules []string
}

// initUsers makes the users that the options name. It comes behind the
// parameters, of which requirepass is about the default user.
func (db *DB) initUsers() error {
	for _, u := range db.opts.Users {
		if _, err := db.users.SetUser(u.Name, append([]string{"reset"}, u.Rules...)); err != nil {
			return fmt.Errorf("user %q: %w", u.Name, err)
		}
	}
	f := db.aclFile()
	if f == nil {
		return nil
	}
	if len(db.opts.Users) > 0 {
		return errors.New("users are given both one by one and in an ACL file: use one of them")
	}
	_, err := acl.LoadFile(db.users, f)
	return err
}

// ChangeUsers makes users of the options anew, or takes them away, while the engine
// runs: their rules were valid as options. kill closes the clients that match accepts.
// The default user cannot be taken away: it becomes what it is without rules.
func (db *DB) ChangeUsers(set []UserRules, gone []string, kill func(match func(command.ClientInfo) bool)) error {
	var errs []error
	for _, u := range set {
		errs = append(errs, db.runtime.SetUser(u.Name, u.Rules, kill))
	}
	if i := slices.Index(gone, acl.DefaultName); i >= 0 {
		gone = slices.Delete(slices.Clone(gone), i, i+1)
		errs = append(errs, db.runtime.SetUser(acl.DefaultName, []string{"on", "nopass", "~*", "&*", "+@all"}, kill))
		db.users.SetPassword(db.settings.Load().requirePass)
	}
	return errors.Join(append(errs, db.runtime.DeleteUsers(gone, kill))...)
}

// Users are all users, as options would name them. Passwords are hashed.
func (db *DB) Users() (out []UserRules) {
	for _, u := range db.users.Users() {
		out = append(out, RulesOf(u))
	}
	return out
}

// RulesOf is a user as options would name it.
func RulesOf(u *acl.User) UserRules {
	return UserRules{Name: u.Name(), Rules: strings.Fields(u.Line())[2:]}
}

// CheckACLFile tells whether the ACL file, which may have been edited, could be loaded.
func (db *DB) CheckACLFile() error {
	scratch := acl.NewStore()
	scratch.AllChannels.Store(db.users.AllChannels.Load())
	_, err := acl.LoadFile(scratch, db.aclFile())
	return err
}

// LoadACLFile is ACL LOAD. kill closes the clients that match accepts.
func (db *DB) LoadACLFile(kill func(match func(command.ClientInfo) bool)) error {
	return db.runtime.LoadUsers(kill)
}

// aclFile is where ACL LOAD and ACL SAVE find the users, nil for nowhere.
func (db *DB) aclFile() acl.File {
	o := &db.opts
	switch {
	case o.ACLFile == "":
		return nil
	case o.ACLFS == nil:
		return aclFile{o.FS, o.ACLFile, o.ACLFile}
	}
	return aclFile{o.ACLFS, path.Base(o.ACLFile), o.ACLFile}
}

// aclFile implements acl.File.
type aclFile struct {
	fs    vfs.FS
	name  string
	shown string
}

// maxACLFile bounds what is read into memory.
const maxACLFile = 64 << 20

func (f aclFile) Name() string            { return f.shown }
func (f aclFile) Read() ([]byte, error)   { return vfs.ReadSmall(f.fs, f.name, maxACLFile) }
func (f aclFile) Write(text []byte) error { return vfs.WriteFileAtomic(f.fs, f.name, text, 0o600) }
