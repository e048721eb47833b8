// Command hardstand-audit holds the commands audit, scan and runtime of
// hardstand, whose libraries would slow the others down. hardstand runs it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/auditor"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	frame := cli.System(version)
	companions := auditor.Beside(frame)
	code := cli.Run(ctx, frame, auditor.New(frame, companions), os.Args[1:])
	companions.Close()
	os.Exit(code)
}
