package builder

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/registry"
)

type attestOptions struct {
	signerOptions
	trust  trustOptions
	claims []string
	json   bool
}

func attestCommand(f *cli.Frame) *cobra.Command {
	var o attestOptions
	cmd := &cobra.Command{
		Use:   "attest REGISTRY/REPOSITORY[:TAG|@DIGEST]",
		Short: "Add signed claims to a published image: scans, test results, VEX, summaries",
		Long: `Add signed claims to an image that is published and signed: the result of a scan
or a test run, an OpenVEX document, a verification summary, or any predicate
type named by a URI. An unsigned image is refused. Claims are no signature of
the image: who verifies it decides which keys may claim what.

The image must be signed by --image-key, or without it by --key itself.`,
		Example: `  hardstand attest registry.example/base/static:1 --key hardstand.key --attest vulns=scan.json
  hardstand attest registry.example/base/static:1 --key scanner.key --image-key hardstand.pub --attest openvex=vex.json
  hardstand attest registry.example/base/static:1 --key hardstand.key --attest tests@linux/arm64=results.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runAttest(cmd.Context(), f, o, args[0]) },
	}
	o.signerOptions.flags(cmd.Flags())
	o.trust.flags(cmd.Flags(), "image-key")
	cmd.Flags().StringArrayVar(&o.claims, "attest", nil, "`TYPE[@PLATFORM]=FILE` with a predicate: vulns, openvex, tests, vsa, spdx, cyclonedx, provenance or a URI; may be repeated")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func runAttest(ctx context.Context, f *cli.Frame, o attestOptions, arg string) error {
	if len(o.claims) == 0 {
		return cli.Usagef("attest needs --attest TYPE=FILE: there is nothing to claim")
	}
	ref, err := registry.ParseReference(arg)
	if err != nil {
		return cli.Usagef("%v", err)
	}
	opts := registry.AttestOptions{Image: ref}
	if opts.Signer, err = o.load(ctx, f, o.trust.instance); err != nil {
		return err
	}
	if opts.Verify, err = o.imageTrust(ctx, f, opts.Signer); err != nil {
		return err
	}
	if opts.Signer.Keyless() {
		opts.Trust = opts.Verify
	}
	// The image is resolved once: what is claimed is about that digest.
	report, err := registry.Verify(ctx, ref, registry.Remote{}, opts.Verify)
	if err != nil {
		return refusal(err)
	}
	opts.Image = ref.Context().Digest(report.Digest.String())
	opts.Attestations, err = readClaims(o.claims, func() (map[string]v1.Hash, error) { return reportPlatforms(report), nil })
	if err != nil {
		return err
	}
	done, err := registry.Attest(ctx, opts)
	if err != nil {
		return refusal(err)
	}
	if o.json {
		return f.PrintJSON(done)
	}
	if done.Attested == 0 {
		fmt.Fprintf(f.Stdout, "%s\n  attested already: nothing was written\n", opts.Image)
		return nil
	}
	fmt.Fprintf(f.Stdout, "%s\n  attested %d images\n", opts.Image, done.Attested)
	return nil
}

// imageTrust says who must have signed the image.
func (o *attestOptions) imageTrust(ctx context.Context, f *cli.Frame, signer *sign.Signer) (sign.VerifyOptions, error) {
	given := len(o.trust.keys) > 0 || o.trust.identity != "" || o.trust.identityRegexp != "" || o.trust.issuer != ""
	if given || signer.Keyless() {
		return o.trust.options(ctx, f, "attest")
	}
	return sign.VerifyOptions{Platforms: true, Now: f.Now(), Keys: []sign.Key{signer.Key()}}, nil
}

// refusal gives a check's "no" its exit code.
func refusal(err error) error {
	var refused *sign.RefusedError
	if errors.As(err, &refused) {
		return &cli.RefusedError{Err: err}
	}
	return err
}

func reportPlatforms(r sign.Report) map[string]v1.Hash {
	found := map[string]v1.Hash{}
	for _, p := range r.Platforms {
		found[p.Platform] = p.Digest
	}
	return found
}
