package acl

import (
	"errors"
	"fmt"
	"strings"
)

// File is where the users are kept, see ACL LOAD and ACL SAVE.
type File interface {
	Name() string
	Read() ([]byte, error)
	// Write replaces the content, whole or not at all.
	Write(text []byte) error
}

// LoadFile is Load from a file.
func LoadFile(s *Store, f File) (gone []*User, err error) {
	text, err := f.Read()
	if err != nil {
		return nil, fmt.Errorf("Error loading ACLs, opening file '%s': %w", f.Name(), err)
	}
	return s.Load(string(text), f.Name())
}

// Text is an ACL file with all users.
func (s *Store) Text() string {
	var b strings.Builder
	for _, u := range s.Users() {
		b.WriteString(u.Line())
		b.WriteByte('\n')
	}
	return b.String()
}

// Load makes the users those of an ACL file: a line is "user", a name, and rules.
// All of them, or none when something is wrong: the error then tells of every line
// that is. name is what it calls the file. It returns the users who are not there
// any more, or are others now: their connections have to be closed.
func (s *Store) Load(text, name string) (gone []*User, err error) {
	var (
		problems strings.Builder
		fresh    = make(map[string]*rules)
	)
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		at := fmt.Sprintf("%s:%d", name, i+1)
		switch {
		case words[0] != "user" || len(words) < 2:
			fmt.Fprintf(&problems, "%s should start with user keyword followed by the username. ", at)
			continue
		case hasSpaces(words[1]):
			fmt.Fprintf(&problems, "'%s: username '%s' contains invalid characters. ", at, words[1])
			continue
		case fresh[words[1]] != nil:
			fmt.Fprintf(&problems, "WARNING: Duplicate user '%s' found on line %d. ", words[1], i+1)
			continue
		}
		r := newRules(s.AllChannels.Load())
		fresh[words[1]] = r
		s.applyLine(r, words[2:], at, &problems)
	}
	if problems.Len() > 0 {
		return nil, errors.New(problems.String() + "WARNING: ACL errors detected, no change to the previously active ACL rules was performed")
	}
	if fresh[DefaultName] == nil {
		fresh[DefaultName] = everything()
	}
	return s.replace(fresh), nil
}

// applyLine applies the rules of a line. Of unknown commands it tells every one,
// which is no secret, of other problems the first, since it may cause the next.
func (s *Store) applyLine(r *rules, words []string, at string, problems *strings.Builder) {
	merged, open := mergeSelectors(words)
	if open != "" {
		fmt.Fprintf(problems, "%s: Unmatched parenthesis in selector definition.", at)
		return
	}
	failed := false
	for _, rule := range merged {
		switch err := r.apply(rule, s.AllChannels.Load()); {
		case err == nil:
		case errors.Is(err, errUnknown):
			fmt.Fprintf(problems, "%s: Error in applying operation '%s': %s. ", at, rule, err)
		case !failed:
			fmt.Fprintf(problems, "%s: %s. ", at, err)
			failed = true
		}
	}
}

// replace puts other users in the place of all. The default user stays the same
// one, with other rules; every other one is new, as in Redis.
func (s *Store) replace(fresh map[string]*rules) (gone []*User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, u := range s.users {
		if name != DefaultName {
			u.rules.Store(newRules(false))
			gone = append(gone, u)
		}
	}
	s.users = map[string]*User{DefaultName: s.def}
	for name, r := range fresh {
		u := s.users[name]
		if u == nil {
			u = &User{name: name}
			s.users[name] = u
		}
		u.rules.Store(r)
	}
	return gone
}
