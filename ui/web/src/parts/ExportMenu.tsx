// The files a table can be saved as. The server makes them: all rows of the table's query, not only those that are loaded.

import { Popover } from "./Popover";

export const FORMATS: readonly (readonly [string, string])[] = [
  ["csv", "CSV, Apache Spot's columns"],
  ["jsonl", "JSON Lines"],
  ["parquet", "Parquet"],
  ["zeek", "Zeek log (TSV)"],
  ["ecs", "Elastic Common Schema"],
  ["ocsf", "OCSF 1.6"],
  ["odm", "Open Data Model (Spot)"],
  ["stix", "STIX 2.1 bundle"],
  ["misp", "MISP event"],
  ["sigma", "Sigma rule of the filter"],
];

interface Props {
  /** Address of the export of a format. */
  to: (format: string) => string;
  label?: string;
}

export function ExportMenu({ to, label = "Export" }: Props) {
  return (
    <Popover label={label} align="end">
      {(close) => (
        <ul class="exports">
          {FORMATS.map(([format, text]) => (
            <li key={format}>
              <a href={to(format)} download onClick={close}>
                {text}
              </a>
            </li>
          ))}
        </ul>
      )}
    </Popover>
  );
}
