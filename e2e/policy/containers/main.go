// Command containers asks the library of podman, CRI-O and skopeo whether a
// policy lets an image run. It is a module of its own, because nothing but this
// check needs that library.
//
//	containers POLICY.JSON REGISTRIES.D REFERENCE
package main

import (
	"context"
	"fmt"
	"os"

	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: containers POLICY.JSON REGISTRIES.D REFERENCE")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, policyFile, registriesDir, reference string) error {
	policy, err := signature.NewPolicyFromFile(policyFile)
	if err != nil {
		return err
	}
	judge, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer judge.Destroy() //nolint:errcheck // the process ends
	ref, err := docker.ParseReference("//" + reference)
	if err != nil {
		return err
	}
	src, err := ref.NewImageSource(ctx, &types.SystemContext{
		RegistriesDirPath: registriesDir, DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
	})
	if err != nil {
		return err
	}
	defer src.Close() //nolint:errcheck // opened for reading
	ok, err := judge.IsRunningImageAllowed(ctx, image.UnparsedInstance(src, nil))
	if err == nil && !ok {
		err = fmt.Errorf("refused without a reason")
	}
	return err
}
