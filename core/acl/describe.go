package acl

import (
	"math"
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/command"
)

// Describe is the line of an ACL file that makes the user, without its first two
// words.
func (u *User) Describe() string {
	r := u.rules.Load()
	words := r.flags()
	for _, p := range r.passwords {
		words = append(words, "#"+p)
	}
	words = append(words, r.selectors[0].describe())
	for _, s := range r.selectors[1:] {
		words = append(words, "("+s.describe()+")")
	}
	return strings.Join(words, " ")
}

// Line is the user's line of an ACL file.
func (u *User) Line() string { return "user " + u.name + " " + u.Describe() }

// flags are the words of a user that are neither passwords nor permissions.
func (r *rules) flags() []string {
	pick := func(on bool, yes, no string) string {
		if on {
			return yes
		}
		return no
	}
	words := []string{pick(r.enabled, "on", "off"), pick(r.noPass, "nopass", ""), r.sanitize}
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

// Details are a user as ACL GETUSER tells of one.
type Details struct {
	Flags     []string
	Passwords []string // hashes
	Selectors []SelectorDetails
}

// SelectorDetails are one selector as ACL GETUSER tells of it.
type SelectorDetails struct{ Commands, Keys, Channels string }

// Details returns what there is to tell; the first selector is the user's own.
func (u *User) Details() Details {
	r := u.rules.Load()
	d := Details{Flags: r.flags(), Passwords: slices.Clone(r.passwords)}
	for _, s := range r.selectors {
		d.Selectors = append(d.Selectors, SelectorDetails{s.describeCommands(), s.describeKeys(), strings.Join(s.channelRules(), " ")})
	}
	return d
}

func (s *selector) describe() string {
	words := []string{s.describeKeys()}
	if words[0] == "" {
		words = nil
	}
	if !s.allChannels {
		words = append(words, "resetchannels")
	}
	words = append(words, s.channelRules()...)
	return strings.Join(append(words, s.describeCommands()), " ")
}

func (s *selector) describeKeys() string {
	if s.allKeys {
		return "~*"
	}
	words := make([]string, len(s.keys))
	for i, k := range s.keys {
		words[i] = k.String()
	}
	return strings.Join(words, " ")
}

func (s *selector) channelRules() (words []string) {
	if s.allChannels {
		return []string{"&*"}
	}
	for _, c := range s.channels {
		words = append(words, "&"+c)
	}
	return words
}

// describeCommands returns rules that make the selector's set of commands: all or
// none, then the categories that come nearest, then single commands. It is Redis
// 7.0's way: the rules that were given are not kept.
func (s *selector) describeCommands() string {
	var (
		base  = "-@all"
		sign  = "+@"
		made  selector // what the rules so far make
		rest  = selector{commands: s.commands.clone()}
		words []string
	)
	if s.commands.future {
		base, sign = "+@all", "-@"
	}
	add := func(rule string) {
		words = append(words, rule)
		_ = made.apply(rule) // it is one of ours
	}
	add(base)
	for used := map[string]bool{}; ; {
		name := rest.nearest(!s.commands.future, used)
		if name == "" {
			break
		}
		add(sign + name)
		_ = rest.applyCategory(name, s.commands.future)
		used[name] = true
	}
	eachCommand(func(cmd *command.Command) {
		if on := s.commands.has(cmd); on != made.commands.has(cmd) {
			if on {
				words = append(words, "+"+cmd.Name)
			} else {
				words = append(words, "-"+cmd.Name)
			}
			made.set(cmd, on)
		}
		if s.commands.has(cmd) {
			return // with any argument
		}
		for _, a := range s.firstArgs[cmd] {
			words = append(words, "+"+cmd.Name+"|"+a)
		}
	})
	return strings.Join(words, " ")
}

// nearest is the category, not used yet, of which the set has more than it lacks,
// and lacks the fewest; with add false it is the other way round.
func (s *selector) nearest(add bool, used map[string]bool) (best string) {
	fewest, most := math.MaxInt, 0
	for _, name := range command.CategoryNames() {
		if used[name] {
			continue
		}
		cat, diff, same := command.CategoryByName(name), 0, 0
		eachCommand(func(cmd *command.Command) {
			if cmd.Categories&cat == 0 {
				return
			}
			if s.commands.has(cmd) == add {
				same++
			} else {
				diff++
			}
		})
		if same > diff && (diff < fewest || diff == fewest && same > most) {
			best, fewest, most = name, diff, same
		}
	}
	return best
}

// CommandsOf returns the names of the commands and subcommands of a category, by
// its name without the "@"; false when there is no such category.
func CommandsOf(category string) ([]string, bool) {
	cat := command.CategoryByName(category)
	if cat == 0 {
		return nil, false
	}
	var names []string
	eachCommand(func(cmd *command.Command) {
		if cmd.Categories&cat != 0 {
			names = append(names, cmd.Name)
		}
	})
	return names, true
}
