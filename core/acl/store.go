package acl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// DefaultName is the user that a client is before it has authenticated.
const DefaultName = "default"

// Store holds the users. It is safe for concurrent use.
type Store struct {
	Log Log

	// AllChannels is acl-pubsub-default: whether new users may name every
	// channel.
	AllChannels atomic.Bool

	mu    sync.RWMutex
	users map[string]*User
	def   *User
}

// NewStore returns a store with the default user, who may do everything and needs
// no password.
func NewStore() *Store {
	s := &Store{users: make(map[string]*User), def: &User{name: DefaultName}}
	s.Log.most = defaultMost
	s.def.rules.Store(everything())
	s.users[DefaultName] = s.def
	return s
}

func everything() *rules {
	r := newRules(true)
	for _, rule := range []string{"+@all", "~*", "on", "nopass"} {
		_ = r.apply(rule, true)
	}
	return r
}

// Default is the default user. It is always the same one, whatever its rules are.
func (s *Store) Default() *User { return s.def }

// User returns a user by name, nil when there is none.
func (s *Store) User(name string) *User {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.users[name]
}

// Users returns all users, ordered by name.
func (s *Store) Users() []*User {
	s.mu.RLock()
	defer s.mu.RUnlock()
	users := make([]*User, 0, len(s.users))
	for _, u := range s.users {
		users = append(users, u)
	}
	slices.SortFunc(users, func(a, b *User) int { return strings.Compare(a.name, b.name) })
	return users
}

// ErrWrongPass is the reply to a client that fails to authenticate.
var ErrWrongPass = errors.New("WRONGPASS invalid username-password pair or user is disabled.")

// Authenticate returns the user of that name if the password is one of the user's,
// and otherwise ErrWrongPass.
func (s *Store) Authenticate(name, password string) (*User, error) {
	u := s.User(name)
	if u == nil {
		(&rules{passwords: []string{hash("")}}).accepts(password) // it takes as long as for a user there is
		return nil, ErrWrongPass
	}
	if r := u.rules.Load(); !r.enabled || !r.accepts(password) {
		return nil, ErrWrongPass
	}
	return u, nil
}

// SetPassword makes a password the only one of the default user, or lets everybody
// in when it is empty: the parameter requirepass.
func (s *Store) SetPassword(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.def.rules.Load().clone()
	r.noPass, r.passwords = password == "", nil
	if password != "" {
		_ = r.addPassword(">" + password)
	}
	s.def.rules.Store(r)
}

// SetUser applies rules to a user, who is created if need be: all of them, or none
// when the error says which cannot be. lost, nil if nothing was taken away, tells
// which channels or patterns the user may not name any more.
func (s *Store) SetUser(name string, rules []string) (lost func(channel string, pattern bool) bool, err error) {
	if hasSpaces(name) {
		return nil, errors.New("Usernames can't contain spaces or null characters")
	}
	merged, open := mergeSelectors(rules)
	if open != "" {
		return nil, fmt.Errorf("Unmatched parenthesis in acl selector starting at '%s'.", open)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[name]
	before := newRules(s.AllChannels.Load())
	if u != nil {
		before = u.rules.Load()
	}
	after := before.clone()
	for _, rule := range merged {
		if err := after.apply(rule, s.AllChannels.Load()); err != nil {
			return nil, fmt.Errorf("Error in ACL SETUSER modifier '%s': %w", rule, err)
		}
	}
	if u == nil {
		u = &User{name: name}
		s.users[name] = u
	}
	u.rules.Store(after)
	return lostChannels(before, after), nil
}

// lostChannels tells what SetUser's lost tells.
func lostChannels(before, after *rules) func(channel string, pattern bool) bool {
	all := func(s *selector) bool { return s.allChannels }
	if slices.ContainsFunc(after.selectors, all) {
		return nil
	}
	if !slices.ContainsFunc(before.selectors, all) {
		has := func(c string) bool {
			return slices.ContainsFunc(after.selectors, func(s *selector) bool { return slices.Contains(s.channels, c) })
		}
		kept := true
		for _, s := range before.selectors {
			for _, c := range s.channels {
				kept = kept && has(c)
			}
		}
		if kept {
			return nil
		}
	}
	return func(channel string, pattern bool) bool { return !after.permitsChannel([]byte(channel), pattern) }
}

// Delete removes users, of whom the default user is never one, and returns those
// there were: their connections have to be closed.
func (s *Store) Delete(names ...string) ([]*User, error) {
	if slices.Contains(names, DefaultName) {
		return nil, errors.New("The 'default' user cannot be removed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var gone []*User
	for _, name := range names {
		if u := s.users[name]; u != nil {
			delete(s.users, name)
			u.rules.Store(newRules(false)) // whatever still runs for it
			gone = append(gone, u)
		}
	}
	return gone, nil
}

// mergeSelectors joins the words between parentheses, which may come as one word or
// as several. open is the word that opens one which does not end.
func mergeSelectors(rules []string) (merged []string, open string) {
	for i := 0; i < len(rules); i++ {
		rule := rules[i]
		if !strings.HasPrefix(rule, "(") || strings.HasSuffix(rule, ")") {
			merged = append(merged, rule)
			continue
		}
		end := i + 1
		for end < len(rules) && !strings.HasSuffix(rules[end], ")") {
			end++
		}
		if end == len(rules) {
			return nil, rule
		}
		merged = append(merged, strings.Join(rules[i:end+1], " "))
		i = end
	}
	return merged, ""
}
