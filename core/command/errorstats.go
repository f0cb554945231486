package command

import (
	"slices"
	"strings"
	"sync"
)

// Codes of errors are the server's, but for those that scripts make up, which
// would be without number.
const maxErrorCodes = 128

// errorCounts count error replies by their code. Errors are rare enough for a
// lock.
type errorCounts struct {
	mu     sync.Mutex
	total  int64
	byCode map[string]int64
}

// ErrorCount is how often an error code was sent.
type ErrorCount struct {
	Code  string
	Count int64
}

// CountErrors counts error replies with these texts.
func (s *Stats) CountErrors(texts []string) {
	e := &s.errors
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byCode == nil {
		e.byCode = make(map[string]int64)
	}
	for _, text := range texts {
		e.total++
		code := errorCode(text)
		if _, ok := e.byCode[code]; ok || len(e.byCode) < maxErrorCodes {
			e.byCode[strings.Clone(code)]++
		}
	}
}

// errorCode is the first word of an error reply. Redis looks at 32 bytes for it,
// the minus included.
func errorCode(text string) string {
	if i := strings.IndexByte(text[:min(len(text), 31)], ' '); i >= 0 {
		return text[:i]
	}
	return "ERR"
}

// Errors is how many error replies there were.
func (s *Stats) Errors() int64 {
	s.errors.mu.Lock()
	defer s.errors.mu.Unlock()
	return s.errors.total
}

// ErrorCounts are the error replies by code, ordered.
func (s *Stats) ErrorCounts() []ErrorCount {
	e := &s.errors
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]ErrorCount, 0, len(e.byCode))
	for code, n := range e.byCode {
		out = append(out, ErrorCount{code, n})
	}
	slices.SortFunc(out, func(a, b ErrorCount) int { return strings.Compare(a.Code, b.Code) })
	return out
}

func (e *errorCounts) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total, e.byCode = 0, nil
}
