package server

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/param"
)

// signalActs are the words of shutdown-on-sigterm and shutdown-on-sigint, in the order
// in which CONFIG GET shows them.
var signalActs = param.OneOf{"default", "save", "nosave", "now", "force"}

// signalActsType is the type of those two: words, separated by spaces.
type signalActsType struct{}

// Parse implements param.Type. default says nothing beside another word.
func (signalActsType) Parse(text string) (string, error) {
	given := make(map[string]bool)
	words := strings.Fields(text)
	if len(words) == 0 {
		words = []string{text} // which is none
	}
	for _, w := range words {
		act, err := signalActs.Parse(w)
		if err != nil {
			return "", err
		}
		given[act] = true
	}
	if given["save"] && given["nosave"] {
		return "", errors.New("shutdown options SAVE and NOSAVE can't be used simultaneously") // Redis's wording
	}
	var out []string
	for _, act := range signalActs[1:] {
		if given[act] {
			out = append(out, act)
		}
	}
	if len(out) == 0 {
		return signalActs[0], nil
	}
	return strings.Join(out, " "), nil
}

// Want implements param.Type.
func (signalActsType) Want() string {
	return "default, or several of save or nosave, now and force, as in \"nosave now\""
}

// ShutdownOn is how the process that the server is in is to end at a signal, SIGINT or
// another, for [core.DB.PrepareShutdown]. Any goroutine.
func (s *Server) ShutdownOn(sig os.Signal) (mode command.ShutdownMode, force bool) {
	acts := &s.onSigterm
	if sig == syscall.SIGINT {
		acts = &s.onSigint
	}
	words := strings.Fields(*acts.Load())
	switch {
	case slices.Contains(words, "save"):
		mode = command.ShutdownSave
	case slices.Contains(words, "nosave"):
		mode = command.ShutdownNoSave
	}
	return mode, slices.Contains(words, "force")
}
