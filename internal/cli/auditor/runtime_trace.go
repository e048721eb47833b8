package auditor

import (
	"context"
	"fmt"
	goruntime "runtime"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/runtime"
	"github.com/hardstand/hardstand/audit/runtime/tracer"
	"github.com/hardstand/hardstand/internal/cli"
)

type traceOptions struct {
	output string
	check  []string
}

func runtimeTraceCommand() *cobra.Command {
	o := &traceOptions{}
	cmd := &cobra.Command{
		Use:   "trace -- PROGRAM [ARGUMENT...]",
		Short: "Run a program and note the system calls that it makes",
		Long: `Run a program to its end and note which system calls it and what it starts make,
for hardstand runtime seccomp --trace. The program gets its own input, output,
environment and signals. With --check a health check runs beside it every few
seconds and is noted too. It needs no privileges and no kernel log, so it can be
the entry point of a container, where bin/hardstand-audit is mounted.`,
		Example: `  hardstand runtime trace --output app.trace -- ./app --listen :8080`,
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runRuntimeTrace(cmd.Context(), o, args) },
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "`file` for the trace")
	cmd.Flags().StringArrayVar(&o.check, "check", nil, "program and `argument`s of the health check, one each; may be repeated")
	return cmd
}

func runRuntimeTrace(ctx context.Context, o *traceOptions, args []string) error {
	if o.output == "" {
		return cli.Usagef("say with --output where the trace goes")
	}
	code, err := tracer.Run(ctx, tracer.Options{Program: args, Check: o.check, Changed: func(numbers []int) error {
		data, err := runtime.FormatTrace(goruntime.GOARCH, numbers)
		if err != nil {
			return err
		}
		if err := writeWhole(o.output, data); err != nil {
			return fmt.Errorf("write trace: %w", err)
		}
		return nil
	}})
	if err == nil && code != 0 {
		err = fmt.Errorf("%s ended with %d; the trace is written", args[0], code)
	}
	return err
}
