package auditor

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/runtime"
	"github.com/hardstand/hardstand/internal/cli"
)

func runtimeFalcoCommand(f *cli.Frame) *cobra.Command {
	o := &runtimeOptions{}
	cmd := &cobra.Command{
		Use:   "falco IMAGE",
		Short: "Write Falco rules for one image",
		Long: `Write rules for Falco with its container plugin: a program outside the
allow-list, a program that is not in the image, a decoy that ran, a planted
credential file that was opened. The allow-list is what the image starts, its
health check, and --allow. The rules name every decoy: keep them where the
register is.`,
		Example: `  hardstand runtime falco registry.example/app:1.4.2 --register app.json -o app-rules.yaml
  hardstand runtime falco oci:app --image registry.example/app --allow /usr/local/bin/migrate`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runRuntimeFalco(cmd.Context(), f, o, args[0]) },
	}
	flags := cmd.Flags()
	o.source(flags)
	o.memory, o.cpu, o.size = "128Mi", "500m", "16Mi"
	flags.StringArrayVar(&o.Allow, "allow", nil, "`path` of another program that may run; may be repeated")
	flags.StringVar(&o.register, "register", "", "decoy register `file` of the image, as hardstand canary register show prints it")
	return cmd
}

func runRuntimeFalco(ctx context.Context, f *cli.Frame, o *runtimeOptions, arg string) error {
	img, err := o.inspect(ctx, f, arg)
	if err != nil {
		return err
	}
	data, err := runtime.Falco(img, o.Options)
	return o.write(f, data, err)
}
