// Package plugins holds the tests of the programs below it: each against a
// server on loopback that speaks its service's API and holds real keys, through
// the service's real SDK. Nothing was tried against the services themselves.
package plugins
