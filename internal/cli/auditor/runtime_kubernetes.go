package auditor

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/runtime"
	"github.com/hardstand/hardstand/internal/cli"
)

func runtimeKubernetesCommand(f *cli.Frame) *cobra.Command {
	o := &runtimeOptions{}
	cmd := &cobra.Command{
		Use:   "kubernetes IMAGE",
		Short: "Write a hardened Deployment and its Service",
		Long: `Write a Deployment that Pod Security allows at level restricted, and a Service
where there are ports. The probes run the image's probe inside the container,
which also works where a mesh such as Istio takes the port and demands client
certificates; --http-get lets the kubelet ask instead.`,
		Example: `  hardstand runtime kubernetes registry.example/app:1.4.2 --port 8080 --namespace shop
  hardstand runtime kubernetes registry.example/app:1.4.2 --check grpcs://:9000 --check=--ca-file --check=/certs/ca.pem
  hardstand runtime kubernetes registry.example/app:1.4.2 --port 8080 --http-get /healthz`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRuntimeKubernetes(cmd.Context(), f, o, args[0])
		},
	}
	flags := cmd.Flags()
	o.source(flags)
	o.limits(flags)
	flags.StringVarP(&o.Namespace, "namespace", "n", "", "`namespace` of the objects")
	flags.IntVar(&o.Replicas, "replicas", 1, "pods")
	flags.StringVar(&o.HTTPGet, "http-get", "", "`path` that the kubelet asks for at the first port, instead of running the probe")
	return cmd
}

func runRuntimeKubernetes(ctx context.Context, f *cli.Frame, o *runtimeOptions, arg string) error {
	img, err := o.inspect(ctx, f, arg)
	if err != nil {
		return err
	}
	data, err := runtime.Kubernetes(img, o.Options)
	return o.write(f, data, err)
}
