package builder

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign"
)

type verifyOptions struct {
	trustOptions
	layers  bool
	json    bool
	summary string
	policy  string
}

func verifyCommand(f *cli.Frame) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify REGISTRY/REPOSITORY[:TAG|@DIGEST]|oci:DIR[@DIGEST]",
		Short: "Check that an image is signed, by whom, and what is attested",
		Long: `Check that an image and every platform of it are signed: with one of the keys, or
keylessly by an identity that an issuer vouches for. An attestation about an image, such as its SBOM, is not a signature of
it. Every refusal is explained, and the exit code is then 3.

The signatures of a layout are those that hardstand build --key writes beside
its index.json, and what is attached to its images as in a registry.`,
		Example: `  hardstand verify registry.example/base/static:1 --key hardstand.pub
  hardstand verify 127.0.0.1:5000/static:1 --key hardstand.pub --require spdx --layers --json
  hardstand verify oci:static --key hardstand.pub --layers
  hardstand verify registry.example/base/static:1 --key hardstand.pub --require vulns,below=high,age=168h --vsa summary.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runVerify(cmd.Context(), f, o, args[0]) },
	}
	o.flags(cmd.Flags(), "key")
	cmd.Flags().BoolVar(&o.layers, "layers", false, "read every layer and compare its digest")
	cmd.Flags().StringVar(&o.summary, "vsa", "", "write a verification summary, to be attested with hardstand attest, to this `file`")
	cmd.Flags().StringVar(&o.policy, "vsa-policy", "", "`URI` of the policy that the summary names (default: one that repeats what was demanded)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

func runVerify(ctx context.Context, f *cli.Frame, o verifyOptions, arg string) error {
	opts, err := o.options(ctx, f, "verify")
	if err != nil {
		return err
	}
	opts.Layers = o.layers
	report, resource, err := verifyImage(ctx, arg, opts)
	var refused *sign.RefusedError
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	if o.json {
		if err := f.PrintJSON(report); err != nil {
			return err
		}
	}
	if refused != nil {
		return &cli.RefusedError{Err: err}
	}
	if !o.json {
		printReport(f, report, "")
	}
	return o.writeSummary(f, opts, resource, report)
}

// writeSummary says in a SLSA verification summary that an image was accepted.
func (o verifyOptions) writeSummary(f *cli.Frame, opts sign.VerifyOptions, resource string, report sign.Report) error {
	if o.summary == "" {
		return nil
	}
	policy := o.policy
	if policy == "" {
		policy = o.demands(opts.Keys)
	}
	summary, err := sign.NewVSA(report, sign.VSAOptions{
		Verifier: build.SourceURL, Resource: resource, Policy: policy, Time: f.Now(),
	})
	if err != nil {
		return err
	}
	if err := writeFile(o.summary, summary, 0o644); err != nil {
		return fmt.Errorf("write verification summary: %w", err)
	}
	return nil
}

// loadPublicKeys reads public key files, and asks services for theirs.
func loadPublicKeys(ctx context.Context, f *cli.Frame, files []string) ([]sign.Key, error) {
	var all []sign.Key
	for _, file := range files {
		if sign.IsKMSReference(file) {
			s, err := loadKMS(ctx, f, file)
			if err != nil {
				return nil, err
			}
			all = append(all, s.Key())
			continue
		}
		data, err := readLimited(file, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("read public key: %w", err)
		}
		keys, err := sign.LoadPublicKeys(data)
		if err != nil {
			return nil, fmt.Errorf("read public key %s: %w", file, err)
		}
		all = append(all, keys...)
	}
	return all, nil
}

func printReport(f *cli.Frame, r sign.Report, indent string) {
	name := "index"
	if r.Platform != "" {
		name = r.Platform
	}
	fmt.Fprintf(f.Stdout, "%s%-14s %s\n", indent, name, r.Digest)
	for _, e := range r.Signatures {
		fmt.Fprintf(f.Stdout, "%s  signed by %s (%s)\n", indent, signedBy(e), e.Form)
	}
	for _, e := range r.Attestations {
		fmt.Fprintf(f.Stdout, "%s  attested %s by %s (%s)\n", indent, e.PredicateType, signedBy(e), e.Form)
	}
	for _, e := range r.Rejected {
		fmt.Fprintf(f.Stdout, "%s  does not count: %s (%s)\n", indent, e.Reason, e.Form)
	}
	for _, p := range r.Platforms {
		printReport(f, p, indent+"  ")
	}
}

func signedBy(e sign.Evidence) string {
	if e.Identity != "" {
		return e.Identity
	}
	return "key " + e.KeyID
}
