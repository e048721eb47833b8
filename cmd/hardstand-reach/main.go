// Command hardstand-reach finds out for hardstand-audit whether vulnerable Go
// code is in a program or called from a source tree, with the Go project's
// library, which is larger than what few scans need it for. It answers the one
// request on its standard input.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hardstand/hardstand/audit/scan/reach/govulncheck"
	"github.com/hardstand/hardstand/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := govulncheck.Serve(ctx, os.Stdin, os.Stdout, os.Environ()); err != nil {
		fmt.Fprintln(os.Stderr, "hardstand-reach:", err)
		os.Exit(cli.ExitFailed)
	}
}
