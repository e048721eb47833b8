// Command hardstand builds, proves and guards base images for compiled
// applications. It composes images itself and hands every other command over
// to the executables beside it, so that a warm build does not pay for the
// start-up of the libraries that sign and audit.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/composer"
)

// version is set by the linker.
var version = "dev"

func main() {
	frame := cli.System(version)
	if executable := cli.Holder(os.Args[1:]); executable != "" {
		os.Exit(cli.Become(frame, executable, os.Args[1:]))
	}
	frame.Heavy = limitMemory()
	root := composer.New(frame, func(context.Context, *spec.From, string) (*build.Base, error) {
		os.Exit(cli.Become(frame, cli.SignExecutable, os.Args[1:])) // it can verify signatures, and starts over
		return nil, nil
	})
	if !composer.Handles(root, os.Args[1:]) {
		os.Exit(cli.Become(frame, cli.SignExecutable, os.Args[1:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := cli.Run(ctx, frame, root, os.Args[1:])
	os.Exit(code)
}
