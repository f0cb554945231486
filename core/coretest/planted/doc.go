// Package planted tests the tests: it plants known bugs into the engine, one at
// a time, and requires that some test fails for each.
//
// A bug is a file in testdata: what it is, the source file it is in, the
// packages whose tests should notice (the test that will first, to save time), and the lines that it replaces by others.
// It is built with go's -overlay, so that the source knows nothing of it. Each
// of them is something that a storage engine has shipped with.
//
//	go test -tags lab -v ./core/coretest/planted # eight of them
//	SPILLWAY_PLANTED=all go test -tags lab -v ./core/coretest/planted
//	go test -tags lab -v ./core/coretest/planted -run 'TestCaught/two-renames'
package planted
