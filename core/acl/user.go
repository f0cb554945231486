package acl

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
)

// User is one user. Its name never changes, its rules may at any time, and the
// checks are safe for concurrent use.
type User struct {
	name  string
	rules atomic.Pointer[rules]
}

// rules are what a user may do. They are never changed once a user has them.
type rules struct {
	enabled   bool
	noPass    bool     // any password will do
	sanitize  string   // the rule about what RESTORE is given, "" until there is one; it has no effect here
	passwords []string // SHA-256 of each, in hexadecimal
	// selectors are alternatives: a command is permitted if one of them permits
	// all of it. The first is the user's own, the others stand in parentheses.
	selectors []*selector
}

// Name is the user's name.
func (u *User) Name() string { return u.name }

// Enabled tells whether anybody can authenticate as this user.
func (u *User) Enabled() bool { return u.rules.Load().enabled }

// NeedsPassword tells whether a client has to authenticate to become this user.
func (u *User) NeedsPassword() bool {
	r := u.rules.Load()
	return !r.noPass || !r.enabled
}

// NoPass tells whether any password will do.
func (u *User) NoPass() bool { return u.rules.Load().noPass }

// hashLen is the length of a password's hash as text.
const hashLen = 2 * sha256.Size

// hash is how a password is kept.
func hash(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

// accepts tells whether a password is the user's. How long it takes does not
// depend on the password.
func (r *rules) accepts(password string) bool {
	if r.noPass {
		return true
	}
	sum, ok := []byte(hash(password)), 0
	for _, p := range r.passwords {
		ok |= subtle.ConstantTimeCompare(sum, []byte(p))
	}
	return ok == 1
}

// The errors of a rule that cannot be applied, in Redis's words.
var (
	errUnknown     = errors.New("Unknown command or category name in ACL")
	errSyntax      = errors.New("Syntax error")
	errAllKeys     = errors.New("Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns")
	errAllChannels = errors.New("Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels")
	errNoPassword  = errors.New("The password you are trying to remove from the user does not exist")
	errBadHash     = errors.New("The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters")
	errFirstArg    = errors.New("Allowing first-arg of a subcommand is not supported")
)

// newRules are those of a user who was just created: none may log in, nothing is
// permitted, and channels are as acl-pubsub-default says.
func newRules(allChannels bool) *rules {
	return &rules{selectors: []*selector{{allChannels: allChannels}}}
}

// clone returns a copy to which rules can be applied.
func (r *rules) clone() *rules {
	c := *r
	c.passwords = slices.Clone(r.passwords)
	c.selectors = make([]*selector, len(r.selectors))
	for i, s := range r.selectors {
		c.selectors[i] = s.clone()
	}
	return &c
}

// apply applies one rule, as ACL SETUSER has it.
func (r *rules) apply(rule string, allChannels bool) error {
	if rule == "" {
		return nil
	}
	switch word := strings.ToLower(rule); word {
	case "on":
		r.enabled = true
	case "off":
		r.enabled = false
	case "skip-sanitize-payload", "sanitize-payload":
		r.sanitize = word
	case "nopass":
		r.noPass, r.passwords = true, nil
	case "resetpass":
		r.noPass, r.passwords = false, nil
	case "clearselectors":
		r.selectors = r.selectors[:1]
	case "reset":
		*r = *newRules(allChannels)
		r.sanitize = "sanitize-payload"
	default:
		switch rule[0] {
		case '>', '#':
			return r.addPassword(rule)
		case '<', '!':
			return r.removePassword(rule)
		}
		if rule[0] == '(' && rule[len(rule)-1] == ')' {
			s, err := parseSelector(rule[1:len(rule)-1], allChannels)
			if err == nil {
				r.selectors = append(r.selectors, s)
			}
			return err
		}
		return r.selectors[0].apply(rule)
	}
	return nil
}

// passwordHash is the hash that a rule is about: the password's, or the one that
// it holds itself.
func passwordHash(rule string) (string, error) {
	if rule[0] == '>' || rule[0] == '<' {
		return hash(rule[1:]), nil
	}
	h := rule[1:]
	if len(h) != hashLen || strings.Trim(h, "0123456789abcdef") != "" {
		return "", errBadHash
	}
	return h, nil
}

func (r *rules) addPassword(rule string) error {
	h, err := passwordHash(rule)
	if err != nil {
		return err
	}
	if !slices.Contains(r.passwords, h) {
		r.passwords = append(r.passwords, h)
	}
	r.noPass = false
	return nil
}

func (r *rules) removePassword(rule string) error {
	h, err := passwordHash(rule)
	if err != nil {
		return err
	}
	i := slices.Index(r.passwords, h)
	if i < 0 {
		return errNoPassword
	}
	r.passwords = slices.Delete(r.passwords, i, i+1)
	return nil
}

// hasSpaces tells whether a name or a pattern cannot be part of a rule's text.
func hasSpaces(s string) bool { return strings.ContainsAny(s, " \t\n\v\f\r\x00") }
