package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign"
)

// The files that keygen writes.
const (
	privateFile = "hardstand.key"
	publicFile  = "hardstand.pub"
)

func keygenCommand(f *cli.Frame) *cobra.Command {
	var dir, passwordFile, imported, public string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a signing key",
		Long: `Make a signing key: hardstand.key, encrypted with a passphrase, and
hardstand.pub. Both are in cosign's form. The passphrase comes from
HARDSTAND_PASSWORD, COSIGN_PASSWORD, --password-file or the terminal. Existing
files are never replaced.

A key that lives in a key management service has no file: --public prints its
public half, for those who verify without access to the service.`,
		Example: `  hardstand keygen
  HARDSTAND_PASSWORD=... hardstand keygen --dir keys
  hardstand keygen --public awskms:///alias/release >hardstand.pub`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if public != "" {
				return printPublic(cmd.Context(), f, public)
			}
			return runKeygen(cmd.Context(), f, dir, passwordFile, imported)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "`directory` for the two files, made for you alone if it does not exist")
	cmd.Flags().StringVar(&imported, "import", "", "seal this unencrypted private key `file` (PEM) instead of making one")
	cmd.Flags().StringVar(&public, "public", "", "print the public key of this `key` of a KMS instead, such as awskms:///alias/NAME")
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "read the passphrase from this `file`")
	return cmd
}

func runKeygen(ctx context.Context, f *cli.Frame, dir, passwordFile, imported string) error {
	private, public := filepath.Join(dir, privateFile), filepath.Join(dir, publicFile)
	for _, file := range []string{private, public} {
		if _, err := os.Lstat(file); err == nil {
			return fmt.Errorf("%s exists: move it away first, what it signed is verified with it", file)
		}
	}
	passphrase, err := f.Passphrase(ctx, os.LookupEnv, passwordFile, true)
	if err != nil {
		return err
	}
	if len(passphrase) == 0 {
		f.Note("the passphrase is empty: whoever reads %s can sign", private)
	}
	key, pub, err := makeKey(imported, passphrase)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	if err := writeNew(private, key, 0o600); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	if err := writeNew(public, pub, 0o644); err != nil {
		return errors.Join(fmt.Errorf("write key: %w", err), os.Remove(private))
	}
	fmt.Fprintf(f.Stdout, "%s\n%s\n", private, public)
	return nil
}

func printPublic(ctx context.Context, f *cli.Frame, key string) error {
	if !sign.IsKMSReference(key) {
		return cli.Usagef("--public %s: want a key of a KMS, NAME://KEY", key)
	}
	s, err := loadKMS(ctx, f, key)
	if err != nil {
		return err
	}
	_, err = f.Stdout.Write(s.Key().PEM)
	return err
}

// makeKey generates a key pair, or seals one that exists.
func makeKey(imported string, passphrase []byte) (private, public []byte, err error) {
	if imported == "" {
		return sign.GenerateKey(passphrase)
	}
	plain, err := readLimited(imported, 1<<20)
	if err != nil {
		return nil, nil, fmt.Errorf("import key: %w", err)
	}
	return sign.ImportKey(plain, passphrase)
}
