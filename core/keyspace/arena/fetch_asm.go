//go:build amd64 || arm64

package arena

//go:noescape
func fetch(at *Place, n int)

//go:noescape
func fetchLines(at Place, n int)
