// The menu of saved views; what is in it is loaded when it is opened.

import { later } from "../later";
import { Popover } from "../Popover";

const Views = later(() => import("./Views").then((code) => code.Views), "the views");

export function SavedViewsMenu({ page }: { page: string }) {
  return (
    <Popover label="Views" align="end">
      {(close) => <Views page={page} close={close} />}
    </Popover>
  );
}
