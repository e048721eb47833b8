//go:build linux && (amd64 || arm64) && !portable

// This file lets the package declare functions without a body: those of the
// runtime that this package borrows.
