package auditor

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/runtime"
	"github.com/hardstand/hardstand/internal/cli"
)

func runtimeECSCommand(f *cli.Frame) *cobra.Command {
	o := &runtimeOptions{}
	cmd := &cobra.Command{
		Use:   "ecs IMAGE",
		Short: "Write a hardened ECS task definition",
		Long: `Write a task definition as aws ecs register-task-definition --cli-input-json
takes it. On Fargate nothing is writable: its volumes belong to root, and it has
no tmpfs. A program that writes there needs a volume whose directory the image
has with the right owner.`,
		Example: `  hardstand runtime ecs registry.example/app:1.4.2 --port 8080 -o task.json
  hardstand runtime ecs registry.example/app:1.4.2 --ec2 --log-group /app --region eu-central-1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runRuntimeECS(cmd.Context(), f, o, args[0]) },
	}
	flags := cmd.Flags()
	o.source(flags)
	o.limits(flags)
	flags.BoolVar(&o.EC2, "ec2", false, "for instances of EC2 instead of Fargate")
	flags.StringVar(&o.ExecutionRole, "execution-role", "", "`ARN` of the role that pulls the image and writes the log")
	flags.StringVar(&o.TaskRole, "task-role", "", "`ARN` of the role that the program has; must be another")
	flags.StringVar(&o.LogGroup, "log-group", "", "CloudWatch log `group`")
	flags.StringVar(&o.Region, "region", "", "`region` of the log group")
	return cmd
}

func runRuntimeECS(ctx context.Context, f *cli.Frame, o *runtimeOptions, arg string) error {
	img, err := o.inspect(ctx, f, arg)
	if err != nil {
		return err
	}
	data, err := runtime.ECS(img, o.Options)
	return o.write(f, data, err)
}
