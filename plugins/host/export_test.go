package host

// OnVerified has f called between the verification of a program and its start,
// and returns what takes that back.
func OnVerified(f func(path string)) (restore func()) {
	old := testVerified
	testVerified = func(p *program) { f(p.path) }
	return func() { testVerified = old }
}

// RunCopies makes pinned programs run as they do where a descriptor cannot be
// run, and returns what takes that back.
func RunCopies() (restore func()) {
	old := descriptors
	descriptors = ""
	return func() { descriptors = old }
}

// LimitDocuments bounds the document of a set that a plugin lists, and returns what
// takes that back.
func LimitDocuments(bytes int) (restore func()) {
	old := maxDocument
	maxDocument = bytes
	return func() { maxDocument = old }
}
