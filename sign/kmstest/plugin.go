// Package kmstest is a key management service for tests: the program that
// sigstore's plugin protocol calls sigstore-kms-test. Its keys are derived from
// their names, so they protect nothing.
package kmstest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"io"
	"os"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

// Program is the name under which [Main] has to be found.
const Program = "sigstore-kms-test"

// Main answers one call of the protocol.
func Main() error {
	args, err := handler.GetPluginArgs(os.Args)
	if err != nil {
		return err
	}
	seed := sha256.Sum256([]byte(args.InitOptions.KeyResourceID))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		return err
	}
	sv, err := signature.LoadECDSASignerVerifier(key, crypto.SHA256)
	if err != nil {
		return err
	}
	_, err = handler.Dispatch(os.Stdout, os.Stdin, args, service{sv})
	return err
}

type service struct{ *signature.ECDSASignerVerifier }

func (service) CreateKey(context.Context, string) (crypto.PublicKey, error) { return nil, io.EOF }
func (service) SupportedAlgorithms() []string                               { return []string{"ecdsa-p256-sha256"} }
func (service) DefaultAlgorithm() string                                    { return "ecdsa-p256-sha256" }
func (service) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, io.EOF
}
