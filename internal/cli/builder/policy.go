package builder

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/policy"
)

type policyOptions struct {
	keys         []string
	identity     sign.Identity
	privateTrust bool
	require      []string
	signedAs     string
	output       string
}

func policyCommand(f *cli.Frame) *cobra.Command {
	var o policyOptions
	var names []string
	for _, format := range policy.Formats() {
		names = append(names, string(format))
	}
	cmd := &cobra.Command{
		Use:   "policy " + strings.Join(names, "|") + " REGISTRY/REPOSITORY",
		Short: "Write an admission policy that refuses what is not signed",
		Long: `Write the configuration with which a cluster or container engine refuses images
of a repository that are unsigned, signed by somebody else, or only attested.
What a tool cannot express is an error, not left out.`,
		Example: `  hardstand policy kyverno registry.example/base/static --key hardstand.pub
  hardstand policy kyverno registry.example/base/static --key hardstand.pub --require spdx
  hardstand policy containers registry.example/base/static --key hardstand.pub -o policy
  hardstand policy github registry.example/base/static --issuer https://token.actions.githubusercontent.com \
    --identity https://github.com/team/app/.github/workflows/release.yaml@refs/heads/main`,
		Args:      cobra.ExactArgs(2),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPolicy(cmd.Context(), f, o, policy.Format(args[0]), args[1])
		},
	}
	cmd.Flags().StringSliceVar(&o.keys, "key", nil, "public key `files`, or keys of a KMS such as awskms:///alias/NAME; one match is enough")
	cmd.Flags().StringVar(&o.identity.Subject, "identity", "", "`subject` of keyless signatures to accept")
	cmd.Flags().StringVar(&o.identity.SubjectRegexp, "identity-regexp", "", "regular `expression` that the whole subject must match")
	cmd.Flags().StringVar(&o.identity.Issuer, "issuer", "", "`URL` of the issuer that vouches for the subject")
	cmd.Flags().BoolVar(&o.privateTrust, "private-trust", false, "the identities are those of a private sigstore instance")
	cmd.Flags().StringSliceVar(&o.require, "require", nil, "attestation `types` that must be there: spdx, cyclonedx, provenance and so on, or a predicate type URI")
	cmd.Flags().StringVar(&o.signedAs, "signed-as", "", "`repository` that signatures state, when consumers pull from a replica")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "`directory` for the files (default: print them)")
	return cmd
}

// predicateTypes gives the URIs of attestation types. Conditions on their
// content are refused: a policy that left them out would be believed.
func predicateTypes(f *cli.Frame, names []string) ([]string, error) {
	var uris []string
	for _, name := range names {
		r, err := sign.ParseRequirement(name, f.Now())
		if err != nil {
			return nil, cli.Usagef("--require %s: %v", name, err)
		}
		if strings.ContainsRune(name, '=') {
			return nil, cli.Usagef("--require %s: a policy checks that an attestation is there, not what it says", name)
		}
		uris = append(uris, r.PredicateType)
	}
	return uris, nil
}

func runPolicy(ctx context.Context, f *cli.Frame, o policyOptions, format policy.Format, repository string) error {
	keyless := o.identity != sign.Identity{}
	switch {
	case len(o.keys) == 0 && !keyless:
		return cli.Usagef("policy needs --key FILE, or --identity and --issuer")
	case keyless && (o.identity.Subject+o.identity.SubjectRegexp == "" || o.identity.Issuer == ""):
		return cli.Usagef("keyless signatures are accepted by --identity or --identity-regexp together with --issuer")
	}
	keys, err := loadPublicKeys(ctx, f, o.keys)
	if err != nil {
		return err
	}
	types, err := predicateTypes(f, o.require)
	if err != nil {
		return err
	}
	opts := policy.Options{
		Repository: repository, SignedAs: o.signedAs, Keys: keys, Attestations: types, PrivateTrust: o.privateTrust,
	}
	if keyless {
		opts.Identities = []sign.Identity{o.identity}
	}
	files, err := policy.Generate(format, opts)
	if err != nil {
		return err
	}
	for i, file := range files {
		if o.output == "" {
			if len(files) > 1 {
				fmt.Fprintf(f.Stdout, "# %s\n", file.Name)
			}
			if _, err := f.Stdout.Write(file.Data); err != nil {
				return err
			}
			continue
		}
		name := file.Name
		if name == "" {
			name = fmt.Sprintf("%s-%d.yaml", format, i+1)
		}
		path := filepath.Join(o.output, filepath.FromSlash(name))
		if err := writeFile(path, file.Data, 0o644); err != nil {
			return fmt.Errorf("write policy: %w", err)
		}
		fmt.Fprintln(f.Stdout, path)
	}
	return nil
}
