// Command hardstand-sign is every command of hardstand, with the libraries
// that sign and verify. hardstand hands over to it; both are installed
// together.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/builder"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	frame := cli.System(version)
	code := cli.Run(ctx, frame, builder.New(frame), os.Args[1:])
	os.Exit(code)
}
