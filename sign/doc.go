// Package sign makes and checks what vouches for an image: keys, cosign
// signatures, in-toto attestations. It knows two storage forms, the legacy
// cosign tags (sha256-HEX.sig, sha256-HEX.att) and sigstore bundles v0.3
// attached as OCI referrers.
//
// An image counts as signed only when a signature says so: either a legacy
// simple-signing payload that names its digest, or a bundle whose statement has
// the predicate type [PredicateSignature]. An attestation about an image, such
// as an SBOM, is not a signature of it, even when the same key made it.
//
// The package reads images through [Source] and never writes to a registry;
// sign/registry does that. It trusts no reader: every manifest and blob is
// hashed again before it is believed.
package sign
