//go:build linux && (amd64 || arm64)

package stub

// Start is the decoy's code. It is assembled into this package to be copied,
// and must not be called: it never returns and replaces the process.
func Start()
