// Command hardstand-compose reads Compose files for hardstand-audit, which
// would start more slowly with the library that does it. It answers the requests
// on its standard input, one a line, and opens no file.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hardstand/hardstand/audit/workload/compose"
	"github.com/hardstand/hardstand/audit/workload/compose/composefile"
	"github.com/hardstand/hardstand/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := limitMemory()
	if err == nil {
		err = compose.Serve(ctx, os.Stdin, os.Stdout, composefile.Read)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hardstand-compose:", err)
		os.Exit(cli.ExitFailed)
	}
}
