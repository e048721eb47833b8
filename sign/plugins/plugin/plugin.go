// Package plugin is the main function of the programs that hold keys in a key
// management service: sigstore's plugin protocol around sigstore's provider for
// one service. The programs are a module of their own, so that the libraries of
// four services are requirements of nobody else.
//
// One call is one process: arguments in, one JSON answer on stdout. Whoever
// calls ends a process that takes too long.
package plugin

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/encoding"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

// Main answers one call and ends the process. The scheme, for example
// "awskms://", is that of a provider which the program imports; the protocol
// leaves it out of the names of keys. An error goes into the answer, where the
// caller finds it, and into the exit code.
func Main(scheme string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, scheme, os.Args))
}

func run(ctx context.Context, scheme string, args []string) int {
	if len(args) < 2 || args[1] != common.ProtocolVersion {
		fmt.Fprintf(os.Stderr, "%s holds keys for hardstand and cosign, which run it: hardstand publish --key %sKEY\n", args[0], scheme)
		return 2
	}
	resp, err := answer(ctx, scheme, args)
	if err != nil {
		if resp == nil { // nothing was written yet
			if err := handler.WriteErrorResponse(os.Stdout, err); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
		return 1
	}
	return 0
}

func answer(ctx context.Context, scheme string, args []string) (*common.PluginResp, error) {
	call, err := handler.GetPluginArgs(args)
	if err != nil {
		return nil, fmt.Errorf("read call: %w", err)
	}
	if call.InitOptions == nil || call.MethodArgs == nil {
		return nil, fmt.Errorf("read call: no options or no method in it")
	}
	if deadline := call.InitOptions.CtxDeadline; deadline != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, *deadline)
		defer cancel()
	}
	key := scheme + call.InitOptions.KeyResourceID
	service, err := kms.Get(ctx, key, call.InitOptions.HashFunc, encoding.UnpackRPCOptions(call.InitOptions.RPCOptions)...)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", key, err)
	}
	resp, err := handler.Dispatch(os.Stdout, os.Stdin, call, service)
	if err == nil && resp.ErrorMessage != "" {
		err = fmt.Errorf("%s", resp.ErrorMessage)
	}
	return resp, err
}
