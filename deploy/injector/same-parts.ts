// Whether a container or volume of a pod is the one that was put into it. What the API server adds of itself does not
// count; whatever else differs could make the proxy something else.
import { equal, isObject } from './equal.ts'
import type { Container, Mount, Volume } from './pod.ts'
import { sameQuantity } from './quantity.ts'

/** @returns names of the fields that differ */
export function differences(found: Container, made: Container): string[] {
  const [one, other] = [comparable(found), comparable(made)]
  const keys = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...keys].filter((key) => {
    return key === 'resources' ? !covers(one.resources, other.resources) : !equal(one[key], other[key])
  })
}

export function sameVolume(found: Volume, made: Volume): boolean {
  return equal(found, made)
}

function comparable(container: Container): Readonly<Record<string, unknown>> {
  const { resizePolicy: _, volumeMounts, securityContext, ...rest } = container
  const { procMount, ...security } = securityContext ?? {}
  return {
    ...rest,
    volumeMounts: volumeMounts?.filter((mount) => !isDefaultToken(mount)) ?? [],
    securityContext: procMount == null || procMount === 'Default' ? security : { ...security, procMount },
  }
}

/** The admission plugin for service accounts mounts the pod's token into every container. */
function isDefaultToken({ name, mountPath, readOnly, ...rest }: Mount): boolean {
  return (
    name.startsWith('kube-api-access-') &&
    mountPath === '/var/run/secrets/kubernetes.io/serviceaccount' &&
    readOnly === true &&
    Object.keys(rest).length === 0
  )
}

/** A LimitRange may add what was left out. */
function covers(found: unknown, made: unknown): boolean {
  if (!isObject(made)) return sameQuantity(found, made)
  return isObject(found) && Object.entries(made).every(([key, value]) => covers(found[key], value))
}
