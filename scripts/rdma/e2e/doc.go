// Package e2e is the suite of S3 over RDMA: a gateway and storage nodes as processes of their own, on several RDMA
// devices, driven by minio-go and boto3. It proves from the devices' hardware counters, from the kernel's sockets and from
// Weft's metrics what the payload went by.
//
// It has tests only. They need the machine that scripts/rdma/test boots, and are skipped elsewhere.
package e2e
