package auditor

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
)

type auditOptions struct {
	kind string
}

func auditCommand(f *cli.Frame) *cobra.Command {
	o := &auditOptions{}
	cmd := &cobra.Command{
		Use:   "audit TARGET...",
		Short: "Check against the container hardening guide, with evidence and fixes",
		Long: `Check what you have against the 21 steps of the container hardening guide: a
Dockerfile with its context, an image, a workload file, or a whole repository.
Each answer is pass, fail, warn, not applicable or unknown; what was not looked
at is unknown and never pass.`,
		Example: `  hardstand audit Dockerfile
  hardstand audit .`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runAudit(cmd.Context(), f, o, args) },
	}
	cmd.Flags().StringVar(&o.kind, "kind", "", "what the targets are, where it cannot be told: dockerfile, image, docker, compose, kubernetes, ecs, workflow")
	return cmd
}

func runAudit(ctx context.Context, f *cli.Frame, o *auditOptions, args []string) error {
	var all verdicts
	for _, arg := range args {
		t, err := locate(arg)
		if err != nil {
			return err
		}
		judge, ok := auditors()[t.kind]
		if !ok {
			return fmt.Errorf("audit %s: cannot tell what it is; name it with --kind", arg)
		}
		v, err := judge(ctx, f, o, t)
		if err != nil {
			return fmt.Errorf("audit %s: %w", arg, err)
		}
		all.add(v)
	}
	return f.PrintJSON(all.findings)
}
